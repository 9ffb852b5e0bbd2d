"""Sweeps on clusters of two nodes, which the tests make on this machine.

A node is a daemon with a host name and a machine id of its own (`unshare`), so a run sees two
machines. They share this one's cores and files, so trials take turns on them.
"""
