"""Background tasks: what kinds there are, the queue, and the worker. They use the services of all apps."""
