"""Deliver: route clean tickets to a helpdesk."""
