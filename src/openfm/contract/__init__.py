"""The world of /opt/ml: paths, configuration files, hyperparameters, log lines, the failure file."""
