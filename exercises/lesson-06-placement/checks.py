"""Lesson 6 has questions alone; their keys stand in quiz.toml."""
