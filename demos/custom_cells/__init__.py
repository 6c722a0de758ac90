"""Custom cells to copy: thirteen papers, each its equations in about ten lines.

Each cell is checked against finite differences, drawn with its own variables as labels, and trained
a little.  The file of a cell imports `minigrad` and `nn` only, so that it can be copied as it is:
python -m demos.custom_cells NAME
"""

CELLS = {
    "minimal_gated": "MinimalGatedCell",
    "peephole_lstm": "PeepholeLSTMCell",
    "coupled_lstm": "CoupledLSTMCell",
    "layernorm_gru": "LayerNormGRUCell",
    "indrnn": "IndRNNCell",
    "janet": "JANETCell",
    "mingru": "MinGRUCell",
    "clockwork": "ClockworkCell",
    "highway": "HighwayCell",
    "stack": "StackCell",
    "mlstm": "MLSTMCell",
    "gru_ode": "GRUODECell",
    "adaptive": "AdaptiveCell",
}
