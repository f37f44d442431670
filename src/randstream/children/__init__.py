"""Children: the programs that this process starts, and those that it inherits as process 1 of a container."""
