"""From an array to its restored version: restoration, output, recommendation, record, report."""
