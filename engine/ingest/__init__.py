"""The wire: links bring the bytes in, formats say what they mean."""
