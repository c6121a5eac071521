"""From folders on disk to servables that answer requests."""
