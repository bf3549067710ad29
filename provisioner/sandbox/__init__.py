"""A stand-in for the Mission Inbox service, on loopback: for practice, for tests and for measuring.

It is an independent reading of the service's published guide and reference, answered the way their stack (Django REST
framework, djangorestframework-api-key, Celery) answers. It knows nothing of the rest of this program, so that a mistake
made in one is not made in both.
"""
