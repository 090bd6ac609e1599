"""What will be computed: segments of the tree, their states' ids, the partitions and the cost."""
