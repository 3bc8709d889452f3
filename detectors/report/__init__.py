"""A diagnosis for people and for programs: `text`, `document` (JSON) and `figure` (matplotlib)."""
