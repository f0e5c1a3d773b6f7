"""Requirements of a run on devices that are not there, computed from its compiled program."""
