"""nn: recurrent networks whose unrolled graph stays plain, built on minigrad's public names only."""

from nn import init as init
from nn.attention import AdditiveAttention as AdditiveAttention
from nn.attention import DotAttention as DotAttention
from nn.attention import GeneralAttention as GeneralAttention
from nn.attention import attend as attend
from nn.cells import (
    Cell as Cell,
)
from nn.cells import (
    GRUCell as GRUCell,
)
from nn.cells import (
    LSTMCell as LSTMCell,
)
from nn.cells import (
    LSTMState as LSTMState,
)
from nn.cells import (
    RNNCell as RNNCell,
)
from nn.cells import (
    detach_state as detach_state,
)
from nn.check import CellReport as CellReport
from nn.check import check_cell as check_cell
from nn.check import summary as summary
from nn.checkpoint import load as load
from nn.checkpoint import save as save
from nn.dropout import Dropout as Dropout
from nn.embedding import Embedding as Embedding
from nn.linear import Linear as Linear
from nn.linear import Sequential as Sequential
from nn.loss import (
    binary_cross_entropy_with_logits as binary_cross_entropy_with_logits,
)
from nn.loss import (
    cross_entropy as cross_entropy,
)
from nn.loss import (
    mse_loss as mse_loss,
)
from nn.loss import (
    nll_loss as nll_loss,
)
from nn.module import Buffer as Buffer
from nn.module import Module as Module
from nn.module import Parameter as Parameter
from nn.normalization import LayerNorm as LayerNorm
from nn.optim import SGD as SGD
from nn.optim import Adam as Adam
from nn.optim import AdamW as AdamW
from nn.optim import Optimizer as Optimizer
from nn.optim import RMSprop as RMSprop
from nn.recurrent import (
    GRU as GRU,
)
from nn.recurrent import (
    LSTM as LSTM,
)
from nn.recurrent import (
    RNN as RNN,
)
from nn.recurrent import (
    Bidirectional as Bidirectional,
)
from nn.recurrent import (
    Stacked as Stacked,
)
from nn.schedule import CosineLR as CosineLR
from nn.schedule import ExponentialLR as ExponentialLR
from nn.schedule import LambdaLR as LambdaLR
from nn.schedule import PlateauLR as PlateauLR
from nn.schedule import StepLR as StepLR
from nn.schedule import WarmupLR as WarmupLR
from nn.sequence import batches as batches
from nn.sequence import greedy as greedy
from nn.sequence import pad as pad
from nn.sequence import sample as sample
from nn.sequence import tbptt as tbptt
from nn.sequence import windows as windows
from nn.torch_weights import load_torch_state_dict as load_torch_state_dict
from nn.torch_weights import to_torch_state_dict as to_torch_state_dict
from nn.unroll import Unroll as Unroll
from nn.unroll import lengths_mask as lengths_mask
from nn.wrappers import LearnedInitialState as LearnedInitialState
from nn.wrappers import RecurrentDropout as RecurrentDropout
from nn.wrappers import Residual as Residual
from nn.wrappers import Zoneout as Zoneout
