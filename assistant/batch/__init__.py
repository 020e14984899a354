"""Questions by the thousand: a file in, a file out, that goes on where it was killed."""
