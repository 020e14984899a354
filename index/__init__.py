"""Finding passages: encoders, the vector and word indexes, fusion, the retriever and its measures."""
