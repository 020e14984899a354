"""How well a system answers: questions with gold answers, measures with intervals, paired tests, the gate."""
