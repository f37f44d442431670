"""Children: the programs that this process starts, and those that it inherits as the first of a container."""
