"""The daemon's script with the Docker of other Debian releases than the machine's."""
