"""What watches localctl from elsewhere: Prometheus with our rules, Grafana with our dashboards."""
