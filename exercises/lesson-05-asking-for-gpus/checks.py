"""Lesson 5 has questions alone; their keys stand in quiz.toml."""
