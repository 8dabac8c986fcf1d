"""The study: its file, its joints, the stages in order, its result and its model folders."""
