"""Lesson 9 has questions alone; their keys stand in quiz.toml."""
