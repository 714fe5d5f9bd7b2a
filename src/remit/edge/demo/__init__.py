"""The whole story in one run: a gateway, real tool servers, an agent, and an auditor who believes nothing.

Every step is a command a person could type or a call an agent could make, through the same doors; each says what it
expects, and the first that goes otherwise ends the run. `story.py` is the story, the other files are its stage.
"""
