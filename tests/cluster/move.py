"""A node's database moves to another server while somebody writes."""


def check(coordinator, nodes):
    pass
