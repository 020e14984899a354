"""What is read and what is taught: documents, passages, records, the library store and the prompt."""
