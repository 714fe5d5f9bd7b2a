"""What holds for every test: how long one example of a property takes is the machine's affair, never a failure."""

from hypothesis import HealthCheck, settings

settings.register_profile("remit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("remit")
