"""Small models and text rules that services share: encoder, sentences, support."""
