"""Policy text to tokens. Knows words, numbers, strings and operators; nothing of what they mean."""

from __future__ import annotations

import enum
from dataclasses import dataclass

_SPACE = " \t\r\n"
_DIGITS = "0123456789"
_WORD_START = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
_WORD = _WORD_START + _DIGITS + "."
_ESCAPES = {"\\": "\\", '"': '"', "'": "'", "n": "\n", "r": "\r", "t": "\t", "0": "\0"}
_LONG_OPERATORS = ("==", "!=", ">=", "<=", "&&", "||")
_OPERATORS = "><!()[],+-*/%"
_INT64 = 2**63


class PolicySyntaxError(ValueError):
    """A policy expression that can't be read: `message`, the `text`, and the `position` in it (from 0)."""

    def __init__(self, message: str, text: str, position: int) -> None:
        super().__init__(f"{message} at character {position + 1} of {text!r}")
        self.message = message
        self.text = text
        self.position = position

    def __repr__(self) -> str:
        return f"PolicySyntaxError({self.message!r}, {self.text!r}, {self.position})"


class TokenKind(enum.Enum):
    WORD = "word"
    NUMBER = "number"
    STRING = "string"
    OPERATOR = "operator"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is the word or operator, empty otherwise; `value` the constant of a number or string."""

    kind: TokenKind
    text: str
    position: int
    value: int | float | str = ""

    def __str__(self) -> str:
        match self.kind:
            case TokenKind.END:
                return "the end"
            case TokenKind.NUMBER | TokenKind.STRING:
                return repr(self.value)
            case _:
                return f"`{self.text}`"


def tokenize(text: str) -> list[Token]:
    """All tokens, the last of kind END. Raises PolicySyntaxError."""
    tokens: list[Token] = []
    i = 0
    while i < len(text):
        char = text[i]
        if char in _SPACE:
            i += 1
        elif char in _WORD_START:
            end = _span(text, i, _WORD)
            tokens.append(Token(TokenKind.WORD, text[i:end], i))
            i = end
        elif char in _DIGITS or (char == "-" and text[i + 1 : i + 2] in tuple(_DIGITS) and not _ends_operand(tokens)):
            token, i = _number(text, i)
            tokens.append(token)
        elif char in "\"'":
            token, i = _string(text, i)
            tokens.append(token)
        elif text[i : i + 2] in _LONG_OPERATORS:
            tokens.append(Token(TokenKind.OPERATOR, text[i : i + 2], i))
            i += 2
        elif char in _OPERATORS:
            tokens.append(Token(TokenKind.OPERATOR, char, i))
            i += 1
        elif char in "=&|":
            raise PolicySyntaxError(f"Unexpected `{char}`: write `{char * 2}`", text, i)
        else:
            raise PolicySyntaxError(f"Unexpected character {char!r}", text, i)
    tokens.append(Token(TokenKind.END, "", len(text)))
    return tokens


def _ends_operand(tokens: list[Token]) -> bool:
    # After an operand a minus subtracts; elsewhere it belongs to the number. `in` is the one word that is no operand.
    if not tokens:
        return False
    last = tokens[-1]
    return last.text in (")", "]") if last.kind is TokenKind.OPERATOR else last.text != "in"


def _span(text: str, start: int, alphabet: str) -> int:
    end = start
    while end < len(text) and text[end] in alphabet:
        end += 1
    return end


def _number(text: str, start: int) -> tuple[Token, int]:
    end = _span(text, start + 1, _DIGITS)
    whole = True
    if text[end : end + 1] == ".":
        fraction_end = _span(text, end + 1, _DIGITS)
        if fraction_end == end + 1:
            raise PolicySyntaxError("A number can't end in a dot", text, end)
        end, whole = fraction_end, False
    if text[end : end + 1] and text[end] in _WORD:
        raise PolicySyntaxError("A number is digits with at most one dot, without an exponent", text, end)
    written = text[start:end]
    value: int | float = float(written)
    if value in (float("inf"), float("-inf")):
        raise PolicySyntaxError("The number is too large", text, start)
    if whole and abs(value) <= _INT64 and -_INT64 <= int(written) < _INT64:
        value = int(written)
    return Token(TokenKind.NUMBER, "", start, value), end


def _string(text: str, start: int) -> tuple[Token, int]:
    quote = text[start]
    parts: list[str] = []
    i = start + 1
    while i < len(text):
        char = text[i]
        if char == quote:
            return Token(TokenKind.STRING, "", start, "".join(parts)), i + 1
        if char == "\\":
            escaped = _ESCAPES.get(text[i + 1 : i + 2])
            if escaped is None:
                raise PolicySyntaxError(f"Unknown escape `{text[i : i + 2]}`", text, i)
            parts.append(escaped)
            i += 2
        elif "\ud800" <= char <= "\udfff":
            raise PolicySyntaxError("A string can't hold half a surrogate pair", text, i)
        else:
            parts.append(char)
            i += 1
    raise PolicySyntaxError("The string is not closed", text, start)
