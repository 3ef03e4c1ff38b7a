"""The command ``deep-prior``: :mod:`.main` runs it, :mod:`.restore` has a sub-command for each task."""
