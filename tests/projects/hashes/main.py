from itsdangerous import URLSafeSerializer
from markupsafe import _speedups

print(URLSafeSerializer("key").loads(URLSafeSerializer("key").dumps([1, 2])), bool(_speedups))
