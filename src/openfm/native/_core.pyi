"""Types of the native core. One section for each part; C++ has the code."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

# --- records: openfm.data.records wraps these ------------------------------------------------------------------------

class Decoded:
    """What :func:`decode_records` found.

    ``fault`` is None, or (kind, record, offset, found, expected): the fields of :class:`openfm.data.faults.Fault`.
    Rows are then those before the fault.
    """

    @property
    def consumed(self) -> int: ...
    @property
    def indptr(self) -> npt.NDArray[np.int64]: ...
    @property
    def indices(self) -> npt.NDArray[np.int32]: ...
    @property
    def values(self) -> npt.NDArray[np.float32]: ...
    @property
    def labels(self) -> npt.NDArray[np.float32] | None: ...
    @property
    def weights(self) -> npt.NDArray[np.float32] | None: ...
    @property
    def identities(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]] | None: ...
    @property
    def feature_dim(self) -> int: ...
    @property
    def dense_records(self) -> int: ...
    @property
    def usual_records(self) -> int: ...
    @property
    def fault(self) -> tuple[str, int, int, int, int] | None: ...

def decode_records(
    data: bytes | bytearray | memoryview,
    feature_dim: int | None,
    labels: Literal["required", "optional", "ignored"],
    framed: bool,
    final: bool,
    identities: bool = False,
    instruction_set: str = "",
) -> Decoded:
    """Decodes the whole records that ``data`` start with; ``consumed`` says how many bytes they take.

    Unless ``final``, an incomplete record at the end is left for the next call. Releases the GIL. ``identities`` asks
    for offsets and bytes of the serialised fields uid and metadata of each record. ``usual_records`` of them had the
    layout that writers give, for which there is a straight way; neither that nor the instruction set changes a byte.
    ``weights`` is None as long as no record has one.
    """

def encode_dense(
    values: npt.NDArray[Any], labels: npt.NDArray[Any] | None, weights: npt.NDArray[Any] | None = None
) -> npt.NDArray[np.uint8]: ...
def encode_sparse(
    indptr: npt.NDArray[np.int64],
    indices: npt.NDArray[np.int32],
    values: npt.NDArray[Any],
    labels: npt.NDArray[Any] | None,
    feature_dim: int,
    weights: npt.NDArray[Any] | None = None,
) -> npt.NDArray[np.uint8]: ...
def encode_scores(
    scores: npt.NDArray[np.float32],
    predicted_labels: npt.NDArray[np.float32] | None,
    identity_offsets: npt.NDArray[np.int64] | None = None,
    identities: npt.NDArray[np.uint8] | None = None,
) -> bytes: ...

# --- JSON requests and answers: openfm.codecs wraps them ------------------------------------------------------------

def decode_instances(
    body: bytes | bytearray, feature_dim: int, lines: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]] | None:
    """indptr, indices and values of plain instances: in ``{"instances": [...]}``, or one on each line.

    None for any other text, be it wrong or not: :mod:`openfm.codecs.instances` reads that. Releases the GIL around
    long work, as all here do.
    """

def encode_predictions(
    scores: npt.NDArray[np.float32], predicted_labels: npt.NDArray[np.float32] | None, lines: bool
) -> bytes:
    """``{"predictions": [...]}``, or a prediction on each line, as orjson would write it."""

# --- text formats: openfm.data.formats wraps these --------------------------------------------------------------------

class ParsedRows:
    """What :func:`parse_libsvm` and :func:`parse_csv` found.

    ``fault`` is None, or the fields of :class:`openfm.data.formats.text_faults.TextFault`.
    """

    @property
    def consumed(self) -> int: ...
    @property
    def lines(self) -> int: ...
    @property
    def indptr(self) -> npt.NDArray[np.int64]: ...
    @property
    def indices(self) -> npt.NDArray[np.int32]: ...
    @property
    def values(self) -> npt.NDArray[np.float32]: ...
    @property
    def labels(self) -> npt.NDArray[np.float32] | None: ...
    @property
    def weights(self) -> npt.NDArray[np.float32] | None: ...
    @property
    def feature_dim(self) -> int: ...
    @property
    def fault(self) -> tuple[str, int, int, int, int, int, int] | None: ...

ParsedColumn = npt.NDArray[Any] | tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.uint8]]

class ParsedColumns:
    """What :func:`parse_csv_columns` found, for each column: float64, NaN where a number is missing; or int32 codes, -1
    where a category is missing, with int64 offsets and the bytes of the different texts, if no coder knows these.
    """

    @property
    def consumed(self) -> int: ...
    @property
    def lines(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def columns(self) -> list[ParsedColumn]: ...
    @property
    def fault(self) -> tuple[str, int, int, int, int, int, int] | None: ...

def parse_libsvm(
    data: bytes | bytearray | memoryview, index_base: int, feature_dim: int | None, final: bool
) -> ParsedRows: ...
def parse_csv(
    data: bytes | bytearray | memoryview,
    delimiter: str,
    label_column: int | None,
    columns: int | None,
    final: bool,
    weight_column: int | None = None,
) -> ParsedRows: ...
def parse_csv_columns(
    data: bytes | bytearray | memoryview,
    delimiter: str,
    kinds: npt.NDArray[np.uint8],
    final: bool,
    coders: list[TextCoder | None] | None = None,
) -> ParsedColumns:
    """``kinds`` has 0 for a column of numbers, 1 for one of categories. Releases the GIL.

    A coder's vocabulary must not be used elsewhere meanwhile if the coder adds to it.
    """

def write_libsvm(
    indptr: npt.NDArray[np.int64],
    indices: npt.NDArray[np.int32],
    values: npt.NDArray[np.float32],
    labels: npt.NDArray[np.float32],
    index_base: int,
) -> bytes: ...
def write_csv(
    indptr: npt.NDArray[np.int64],
    indices: npt.NDArray[np.int32],
    values: npt.NDArray[np.float32],
    labels: npt.NDArray[np.float32] | None,
    feature_dim: int,
    delimiter: str,
    weights: npt.NDArray[np.float32] | None = None,
) -> bytes: ...

# --- texts to features: openfm.encoding wraps these -------------------------------------------------------------------

class Vocabulary:
    """Different texts, numbered from 0 in the order in which they were added.

    Texts are given as they lie one after the other, with int64 offsets: where each begins, and the end. ValueError:
    offsets do not divide the bytes, or there are more than 2^31 - 1 texts. ``nbytes`` is memory.
    """

    def __init__(self) -> None: ...
    def __len__(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def offsets(self) -> npt.NDArray[np.int64]: ...
    @property
    def utf8(self) -> npt.NDArray[np.uint8]: ...
    def add(self, offsets: npt.NDArray[np.int64], utf8: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
        """The number of each text; new ones are added."""

    def find(self, offsets: npt.NDArray[np.int64], utf8: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
        """The number of each text, -1 of those that are not there. Releases the GIL around long work."""

    def text(self, code: int) -> bytes: ...

class TextCoder:
    """What numbers the texts of a column get while they are read: int32, -1 where there is none.

    ``adding``: those of a vocabulary, to which new texts are added. ``finding``: those of a vocabulary, -2 of texts
    that it has not. ``hashing``: those of :func:`hash_buckets`. ``ignoring``: none.
    """

    @staticmethod
    def adding(vocabulary: Vocabulary) -> TextCoder: ...
    @staticmethod
    def finding(vocabulary: Vocabulary) -> TextCoder: ...
    @staticmethod
    def hashing(buckets: int) -> TextCoder: ...
    @staticmethod
    def ignoring() -> TextCoder: ...
    @property
    def vocabulary(self) -> Vocabulary | None: ...

def join_columns(
    columns: list[tuple[npt.NDArray[np.int32], int, npt.NDArray[np.float32] | None]], rows: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """indptr, indices and values of rows that have of each column (codes, first, values) the feature ``first + code``.

    It is left out where the code is below 0; its value is 1 where values are None. Releases the GIL around long work.
    """

def hash_buckets(offsets: npt.NDArray[np.int64], utf8: npt.NDArray[np.uint8], buckets: int) -> npt.NDArray[np.int32]:
    """FNV-1a (64 bits) of each text, h, as (h ^ h >> 32) modulo ``buckets``: the same on every machine, for ever."""

# --- random streams: openfm.fm.initializers wraps them ---------------------------------------------------------------

class ParallelGenerator:
    """MXNet's 1024 Mersenne Twisters; their state goes on from call to call. ``out`` is filled in place."""

    def __init__(self, seed: int) -> None: ...
    def fill_normal(self, out: npt.NDArray[np.float32], sigma: float, threads: int) -> None: ...
    def fill_uniform(self, out: npt.NDArray[np.float32], low: float, high: float, threads: int) -> None: ...

# --- training and scoring: openfm.fm.trainer and openfm.fm.model wrap them -------------------------------------------

class Scorer:
    """Scores from w (D,) and V (D, k) where they are, C-contiguous, of any alignment, read-only or not.

    They are kept, not copied, and must not change. The constructor reads them once, with up to four threads.
    ``nbytes``: its own memory, 4 bytes for each feature, and up to 8 padded features more. ValueError: shapes, indptr
    or indices do not fit.
    """

    def __init__(
        self,
        bias: float,
        linear: npt.NDArray[np.float32],
        factors: npt.NDArray[np.float32],
        instruction_set: str = "",
    ) -> None: ...
    @property
    def nbytes(self) -> int: ...
    def score(
        self,
        indptr: npt.NDArray[np.int64],
        indices: npt.NDArray[np.int32],
        values: npt.NDArray[np.float32],
        sigmoid: bool,
        threads: int,
    ) -> npt.NDArray[np.float32]: ...
    def answer(
        self, body: bytes | bytearray, lines: bool, sigmoid: bool, threshold: float | None, answer_lines: bool
    ) -> tuple[bytes, int] | None:
        """What :func:`decode_instances`, :meth:`score` and :func:`encode_predictions` make of a body, and its rows.

        Labels are given where there is a threshold: 1 from this score on. None if the body is not plain, or a score
        not finite.
        """

class BatchBlock:
    """Labelled rows cut into mini-batches, in the form that the kernels train on.

    ``dense``: whether all cells are kept (4 bytes for each, rows and columns rounded up to multiples of 8), or the
    non-zeros only, by row and by feature. ``nbytes``: the memory that the block holds, the given arrays included. Of a
    block that is not dense that is::

        14 * non-zeros + 12 * rows + 8 * (distinct features of each batch, added up) + 20 * batches + 8

    and 4 more for each row where there are weights, 2 more for each non-zero where batches have more than 65536 rows.
    """

    @property
    def batches(self) -> int: ...
    @property
    def dense(self) -> bool: ...
    @property
    def nbytes(self) -> int: ...
    def __len__(self) -> int: ...
    def features(self, batch: int) -> npt.NDArray[np.int32]:
        """The features that a batch updates, each once, in the batch's own order."""

    def rows(self, batch: int) -> int:
        """The rows of a batch, without padding."""

class BatchIndexer:
    """Makes BatchBlocks. ``all_features``: each batch lists every feature, also those that do not occur in it.

    ``dense``: whether blocks are dense; None: where that is faster. Weights multiply the rows' gradients.
    """

    def __init__(self, feature_dim: int, batch_size: int, all_features: bool, dense: bool | None = None) -> None: ...
    def index(
        self,
        indptr: npt.NDArray[np.int64],
        indices: npt.NDArray[np.int32],
        values: npt.NDArray[np.float32],
        labels: npt.NDArray[np.float32],
        weights: npt.NDArray[np.float32] | None = None,
    ) -> BatchBlock: ...

class Trainer:
    """Mini-batch Adam. ``bias``, ``linear``, ``factors``: (learning rate, weight decay, whether it is trained)."""

    def __init__(
        self,
        feature_dim: int,
        num_factors: int,
        logistic: bool,
        batch_size: int,
        bias: tuple[float, float, bool],
        linear: tuple[float, float, bool],
        factors: tuple[float, float, bool],
        rescale: float,
        epsilon: float,
        clip: float,
        threads: int,
        instruction_set: str = "",
    ) -> None: ...
    @property
    def step(self) -> int: ...
    @property
    def members(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def packed_factors(self) -> npt.NDArray[np.float32]:
        """The trainer's own memory, as room for V: float32, shape (D, k), for :meth:`set_parameters` only."""

    def set_parameters(
        self, bias: float, linear: npt.NDArray[np.float32], factors: npt.NDArray[np.float32]
    ) -> None: ...
    def bias(self, part: Literal["parameters", "means", "variances"]) -> float: ...
    def linear(self, part: Literal["parameters", "means", "variances"]) -> npt.NDArray[np.float32]: ...
    def copy_factors(
        self, part: Literal["parameters", "means", "variances"], first: int, out: npt.NDArray[np.float32]
    ) -> None:
        """Fills ``out``, of shape (rows, k), with the rows of V from ``first`` on."""

    def release(self) -> tuple[float, npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """The parameters, V in the trainer's memory. The trainer is empty then: no array has its shapes."""

    def set_optimizer(
        self,
        step: int,
        means: tuple[float, npt.NDArray[np.float32], npt.NDArray[np.float32]],
        variances: tuple[float, npt.NDArray[np.float32], npt.NDArray[np.float32]],
    ) -> None: ...
    def train(self, block: BatchBlock, first: int, last: int) -> tuple[npt.NDArray[np.float64], int]: ...
    def gradients(
        self, block: BatchBlock, batch: int, places: npt.NDArray[np.int32], out: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float64]:
        """Writes the gradients of a batch's features, as ``features`` lists them, to the rows ``places`` of ``out``,
        which are k + 1 wide; returns the batch's seven sums, without padding."""

    def padding_sums(self, count: int) -> npt.NDArray[np.float64]: ...
    def apply(
        self, features: npt.NDArray[np.int32], gradients: npt.NDArray[np.float32], totals: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], int]:
        """One step for ascending features, from what ``gradients`` and ``padding_sums`` gave, added up."""

def instruction_sets() -> list[str]: ...
