"""The examples of a library as the commands show, count and export them."""
