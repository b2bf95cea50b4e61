"""`make bench`: what a call through the gateway costs, measured on this machine, beside the targets of the design."""
