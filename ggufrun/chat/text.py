"""Raw prompts, in no chat format: text or token ids to go on from, and gaps to fill."""

from ggufrun.chat.decode import Detokenizer, prefixes_space
from ggufrun.chat.encoded import EncodedPrompt, PromptEncoder
from ggufrun.chat.style import OutputStyle
from ggufrun.chat.types import TextRequest
from ggufrun.engine.vocabulary import Vocabulary
from ggufrun.errors import ModelLacks, OutOfRange


def encode_text(request: TextRequest, vocabulary: Vocabulary, encoder: PromptEncoder) -> EncodedPrompt:
    """The prompt's tokens; the answer is plain text. Raises ModelLacks where the model cannot fill a gap."""
    tokens = _tokens(request, vocabulary, encoder)
    return EncodedPrompt(tuple(tokens), OutputStyle(), encoder.dialect, encoder.version)


def echoed(request: TextRequest, vocabulary: Vocabulary) -> str:
    """What the answer begins with: the prompt, if that was asked for."""
    if not request.echo:
        return ""
    if isinstance(request.prompt, str):
        return request.prompt
    decoder = Detokenizer(vocabulary, skip_spaces=int(prefixes_space(vocabulary.metadata)))
    return decoder.feed(request.prompt) + decoder.finish()


def _tokens(request: TextRequest, vocabulary: Vocabulary, encoder: PromptEncoder) -> list[int]:
    prompt = request.prompt
    if request.suffix is not None:
        if not isinstance(prompt, str):
            raise OutOfRange("A prompt of token ids has a suffix.", "Send the prompt as text.", "suffix")
        if not encoder.supports_fim:
            raise ModelLacks("This model cannot fill in the middle.", "Choose a code model that can.", "suffix")
        return encoder.fill(_whole(prompt), _whole(request.suffix))
    if not isinstance(prompt, str):
        _check_ids(prompt, len(vocabulary))
        return list(prompt)
    begin = [vocabulary.bos] if request.bos and vocabulary.adds_bos and vocabulary.bos is not None else []
    return [*begin, *(encoder.tokenize(_whole(prompt)) if prompt else ())]


def _whole(text: str) -> str:
    """Halves of surrogate pairs, which no tokenizer takes, become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _check_ids(tokens: tuple[int, ...], vocabulary: int) -> None:
    for token in tokens:
        if not 0 <= token < vocabulary:
            known = f"Tokens go from 0 to {vocabulary - 1}."
            raise OutOfRange(f"The prompt names token {token}.", known, "prompt")
