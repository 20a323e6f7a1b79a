"""The world of /opt/ml: paths, configuration, hyperparameters, log lines, the failure file."""
