#!/usr/bin/env python3
"""A Hugging Face tokenizer from a GGUF file, for tools that count tokens themselves and would download one.

  make_tokenizer.py MODEL.gguf FOLDER        needs the packages gguf and transformers
"""

import sys

import gguf
import tokenizers
import transformers


def main():
    model, folder = sys.argv[1:]
    fields = gguf.GGUFReader(model).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(pair.split(" ")) for pair in fields["tokenizer.ggml.merges"].contents()]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=merges))
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Digits(individual_digits=True),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)])
    bpe.decoder = tokenizers.decoders.ByteLevel()
    ends = tokens[fields["tokenizer.ggml.eos_token_id"].contents()]
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token=ends,
                                                     pad_token=ends)
    tokenizer.chat_template = fields["tokenizer.chat_template"].contents()
    tokenizer.save_pretrained(folder)
    print(tokenizer("A tokenizer of 49152 tokens.").input_ids)


if __name__ == "__main__":
    main()
