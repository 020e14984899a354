"""Self-KG: facts as edges, from the library's passages or from a user's graph, and questions about them."""
