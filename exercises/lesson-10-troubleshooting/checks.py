"""Lesson 10 has questions alone; their keys stand in quiz.toml."""
