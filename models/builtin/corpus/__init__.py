"""The corpus of the built-in model: hand-written sources and the generators that turn them into chats."""
