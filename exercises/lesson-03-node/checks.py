"""Lesson 3 has questions alone; their keys stand in quiz.toml."""
