"""The GRU-ODE: between inputs the state follows a differential equation (Runge–Kutta)."""

import numpy as np

import minigrad as mg
import nn
from nn import Parameter
from nn.init import orthogonal


class GRUODECell(nn.Cell):
    """
    dh/dt = (1 − z) ∘ (n − h)    z = σ(h W_z)    n = tanh((σ(h W_r) ∘ h) W_n)
    h = GRU(x, h(1))    where h(0) = h_prev

    Shapes: x (B, D), h (B, H), W_· (H, H).  h(1) is found in `inner` steps of the classical
    Runge–Kutta method, each a step of an axis of its own, "rk4", inside the time step: pictures,
    gradient flow and truncation know both axes.
    De Brouwer, Simm, Arany & Moreau, GRU-ODE-Bayes, 2019.
    """

    def __init__(self, D: int, H: int, inner: int = 3) -> None:
        self.input_size, self.state_size, self.inner = D, H, inner
        self.W_z = Parameter(orthogonal(H, H))
        self.W_r = Parameter(orthogonal(H, H))
        self.W_n = Parameter(orthogonal(H, H))
        self.jump = nn.GRUCell(D, H)

    def slope(self, h):
        """dh/dt."""
        z = mg.sigmoid(h @ self.W_z)
        r = mg.sigmoid(h @ self.W_r)
        return (1 - z) * (np.tanh((r * h) @ self.W_n) - h)

    def forward(self, x, h_prev):
        h, dt = h_prev, 1 / self.inner
        for step in range(self.inner):
            with mg.time_step(step, axis="rk4"):
                k1 = self.slope(h)
                k2 = self.slope(h + dt / 2 * k1)
                k3 = self.slope(h + dt / 2 * k2)
                k4 = self.slope(h + dt * k3)
                h = h + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return self.jump(x, h)
