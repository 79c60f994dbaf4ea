"""The environment of a recorded run: compared with the present one, written down, built again."""
