"""How the detector's file comes about: `make train-guards`."""
