"""Sum up rainfall by station."""

from pathlib import Path

import pandas

readings = pandas.read_csv(Path(__file__).with_name("rainfall.csv"), parse_dates=["day"])
totals = readings.groupby("station")["millimetres"].sum().sort_values(ascending=False)
print(totals.to_string())
