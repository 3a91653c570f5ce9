"""Lesson 1 has questions alone; their keys stand in quiz.toml."""
