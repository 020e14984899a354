"""The chat in the terminal (Textual). What a document, a model or a file name says is only ever shown through
`assistant.tui.words`, never as markup.
"""
