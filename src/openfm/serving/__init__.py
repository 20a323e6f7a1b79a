"""The Flask application, the predictor behind it, and the server that runs it."""
