"""Lesson 2 has questions alone; their keys stand in quiz.toml."""
