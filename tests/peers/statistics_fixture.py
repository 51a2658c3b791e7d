"""Writes tests/fixtures/statistics/peers.json: what scipy, statsmodels and numpy make of a few samples.

    python tests/peers/statistics_fixture.py > tests/fixtures/statistics/peers.json

The samples are invented. Nothing here shares code with the program: intervals come from statsmodels, clustered
variances from its cluster-robust regression on a constant, the bootstrap from numpy's own generator.
"""

import json

import numpy as np
import scipy
import scipy.stats
import statsmodels
import statsmodels.api as sm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

RESAMPLES = 200_000


def wilson(right, n):
    low, high = proportion_confint(right, n, alpha=0.05, method="wilson")
    return {"right": right, "n": n, "low": low, "high": high}


def clustered(sizes, rates, seed):
    """Outcomes in clusters whose members go together, and the clustered standard error of their mean."""
    rng = np.random.default_rng(seed)
    keys, values = [], []
    for key, (size, rate) in enumerate(zip(sizes, rates)):
        for _ in range(size):
            keys.append(key)
            values.append(int(rng.random() < rate))
    keys, values = np.array(keys), np.array(values)
    # Only the factor clusters / (clusters - 1): statsmodels multiplies it by (n - 1) / (n - 1) for a constant.
    fit = sm.OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": keys})
    mean, error = fit.params[0], fit.bse[0]
    effective = mean * (1 - mean) / max(error**2, mean * (1 - mean) / len(values))
    low, high = proportion_confint(mean * effective, effective, alpha=0.05, method="wilson")
    sums = np.array([values[keys == key].sum() for key in range(len(sizes))])
    counts = np.array(sizes)
    drawn = np.random.default_rng(seed + 1).integers(0, len(sizes), (RESAMPLES, len(sizes)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    bootstrap = np.quantile(means, [0.025, 0.975])
    return {
        "keys": keys.tolist(),
        "right": values.tolist(),
        "error": error,
        "low": low,
        "high": high,
        "bootstrap": bootstrap.tolist(),
    }


def paired(n, gained, lost):
    """Pairs that are clusters of their own: gained, lost, and the rest unchanged."""
    change = np.array([1] * gained + [-1] * lost + [0] * (n - gained - lost))
    drawn = np.random.default_rng(n).integers(0, n, (RESAMPLES // 10, n))
    low, high = np.quantile(change[drawn].mean(1), [0.025, 0.975])
    return {"n": n, "gained": gained, "lost": lost, "low": low, "high": high}


def discordant(gained, lost):
    exact = mcnemar([[0, gained], [lost, 0]], exact=True).pvalue
    corrected = mcnemar([[0, gained], [lost, 0]], exact=False, correction=True).pvalue
    middle = exact - scipy.stats.binom.pmf(min(gained, lost), gained + lost, 0.5)
    return {"gained": gained, "lost": lost, "exact": exact, "corrected": corrected, "mid": middle}


def detectable(effect, discordance, alpha, power):
    """Connor (1987): the pairs that show the effect."""
    z = scipy.stats.norm.ppf
    root = z(1 - alpha / 2) * discordance**0.5 + z(power) * (discordance - effect**2) ** 0.5
    return {"effect": effect, "discordance": discordance, "alpha": alpha, "power": power, "pairs": (root / effect) ** 2}


rng = np.random.default_rng(1)
p_values = [[0.001, 0.01, 0.02, 0.02, 0.5], rng.random(12).round(4).tolist(), [0.04] * 3]
print(
    json.dumps(
        {
            "versions": {"scipy": scipy.__version__, "statsmodels": statsmodels.__version__, "numpy": np.__version__},
            "wilson": [wilson(*of) for of in [(0, 10), (1, 10), (7, 50), (480, 960), (1799, 1800)]],
            "clustered": [
                clustered([3] * 40, rng.random(40), 2),
                clustered(list(range(1, 31)), rng.random(30), 3),
                clustered([1] * 150, [0.7] * 150, 4),
            ],
            "paired": [paired(*of) for of in [(300, 40, 20), (1800, 300, 150), (500, 60, 60)]],
            "mcnemar": [discordant(*of) for of in [(1, 7), (16, 6), (30, 12), (100, 101), (300, 250), (700, 600)]],
            "holm": [
                {"p": p, "adjusted": multipletests(p, method="holm")[1].tolist()} for p in p_values
            ],
            "detectable": [
                detectable(*of) for of in [(0.05, 0.3, 0.05, 0.8), (0.02, 0.2, 0.05, 0.9), (0.1, 0.15, 0.01, 0.8)]
            ],
        },
        indent=1,
    )
)
