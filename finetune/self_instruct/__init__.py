"""Self-Instruct (Wang et al., arXiv 2212.10560): tasks written by a model from a few written by humans.

`method.SelfInstruct` is the published algorithm, a round at a time; `grounded.GroundedInstruct` writes tasks
whose input is a passage of the library.
"""
