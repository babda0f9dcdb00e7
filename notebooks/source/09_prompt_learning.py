# ---
# jupyter:
#   question: What does a question cost, what is a template worth in labels, and can a machine find a better one?
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 09 · Prompt learning
#
# A language model has read millions of texts and can only do one thing: say which word comes next. **Prompt learning** (提示学习)
# turns a task into that question. No label is needed to ask it; a few labels may help to ask it better.
#
# **After this chapter you can** score labels by log-probabilities, calibrate (校准) them, put demonstrations into a prompt, learn a
# soft prompt, search a trigger with the gradient, and say how many labels a prompt is worth.
#
# **Time:** 90 minutes. **Claim under test:** C11 (prompts let a model do a new task with little data; adaptive triggers beat fixed
# templates).

# %% tags=["parameters"]
PROFILE = "quick"  # "quick": under 90 seconds on two cores; "full": more draws, texts and steps
SEED = 0  # another whole number, another set of random draws
DEVICE = "auto"  # "auto", "cpu", "cuda" or "mps"
CLASSES = (
    "animal plant food person artifact"  # supersenses of WordNet whose names are one token each
)

# %%
import time
from dataclasses import replace

import torch

import fewshot_lab as lab
from fewshot_lab.data import glosses
from fewshot_lab.methods import fine_tuning, in_context, prompts, soft_prompts, triggers
from fewshot_lab.models import kv_cache, language

lab.setup("09", profile=PROFILE, seed=SEED, device=DEVICE)
task = glosses.task(tuple(CLASSES.split()))
tokenizer, model = language.smollm2(DEVICE)
model.requires_grad_(False)
WORDS = list(task.classes)
SEEDS = list(range(SEED, SEED + lab.quick_or_full(5, 20)))
DRAWS = SEEDS[: lab.quick_or_full(4, 10)]  # of the methods that take long
SHOTS, K = lab.quick_or_full([1, 2, 4, 8, 16], smoke=[1, 2, 4, 8]), 4
label_ids = prompts.label_tokens(tokenizer, WORDS)

# %% [markdown]
# The texts are glosses (词典释义), short definitions from WordNet; the label is the broad class of the thing that is defined. Texts that
# contain their label's name were left out. The model has 135 million weights and never saw these labels as a task.
#
# ## Predict

# %%
lab.predict(
    "worth",
    "With 4 labels per class: does asking the model in words beat a linear layer, trained on the "
    "same model's vectors?",
    ["no, training wins", "both alike", "yes, asking wins"],
)

# %% [markdown]
# ## Derive: a label's score
#
# An article writes prompt learning as: maximise $\sum_{(x,y)} E_{p(x|y)}[P(T \mid p(x), \theta_t)]$. Its $p$ is at once a distribution of
# texts and a prompt, $T$ a task and what is predicted; $y$ does not occur in what is maximised, and the expectation over $x$
# stands inside a sum over $x$. A form that can be computed needs two things that you choose: a **template** (模板) $T$ with a
# place for the text, and a **verbaliser** (标签词映射) $v$ that gives every label a word:
#
# $$\text{score}(y) = \log P(v(y) \mid T(x)) = \sum_{t} \log P(v_t \mid T(x), v_{<t}), \qquad \hat y = \arg\max_y \text{score}(y)$$
#
# Nothing is maximised over weights here. What later sections learn is $T$: its words (a trigger) or its vectors (a soft prompt).
#
# ## Write it
#
# A causal model returns one row of logits after each token. Row $t$ speaks about token $t+1$.


# %% exercise="sequence_log_probability"
def sequence_log_probability(logits, tokens, prompt_length):
    """The log-probability of a continuation: the sum of log P(token t | the tokens before it), over t >= prompt_length.

    logits: float tensor (T, V), row t is what the model says after token t. tokens: whole numbers
    (T,), prompt and continuation. prompt_length: how many tokens are the prompt, at least 1.
    Returns a scalar tensor.
    """
    ### BEGIN SOLUTION
    log_p = logits.log_softmax(dim=1)[prompt_length - 1 : -1]
    return log_p.gather(1, tokens[prompt_length:, None]).sum()
    ### END SOLUTION


# %% [markdown]
# Use it on a whole sentence, label by label. Labels of one token need only one forward pass; longer ones share what the model
# computed for the template (its keys and values, 键值缓存). Both ways must agree.

# %%
log_probability = lab.yours_or_ours(sequence_log_probability)
SHOWN, TEMPLATE_SHOWN = task.validation_texts[0], "Dictionary definition: {x}\nType:"
longer = [f"{word} or something like it" for word in WORDS[:2]]
cached = prompts.continuation_scores(tokenizer, model, [SHOWN], TEMPLATE_SHOWN, WORDS + longer)[0]
prompt = TEMPLATE_SHOWN.replace("{x}", SHOWN)
prompt_length = len(kv_cache.token_ids(tokenizer, model, prompt))
print(prompt)
for word, score in zip(WORDS + longer, cached.tolist()):
    tokens = kv_cache.token_ids(tokenizer, model, f"{prompt} {word}")
    with torch.no_grad():
        alone = log_probability(model(tokens[None]).logits[0].float(), tokens, prompt_length).item()
    print(f"{score:8.2f} (whole sentence {alone:8.2f})  {word}")

# %% [markdown]
# ## See: the prompt playground
#
# Edit the template and the label words, and press Enter. `\n` is a new line. Does a synonym help? A space at the end? Each answer is a
# pass of the language model over the few texts shown.

# %%
lab.widgets.PromptExplorer(tokenizer, model, task, TEMPLATE_SHOWN)

# %% [markdown]
# ## Measure it: choose a template without the test set
#
# All templates begin alike, so the texts are read once, and each end costs only its own few tokens. The template is chosen by its
# mean accuracy, raw and calibrated, on validation texts and the training texts that are drawn below, **not** by test texts. That is still a luxury: few-shot
# learning has no such heap of labels.


# %%
def places(wanted):
    """The training texts of all draws with so many labels per class, without repeats."""
    return torch.cat([task.rows(wanted, seed) for seed in SEEDS]).unique()


BEFORE, JOINT, _ = prompts.split_template(TEMPLATE_SHOWN)
ENDS = ["\nType:", "\nThis describes a", "\nCategory:", " is a kind of"]
drawn, everything = places(K), places(max(SHOTS))
pool_rows = torch.cat(
    [drawn, everything[~torch.isin(everything, drawn)]]
)  # those with few labels first
first = torch.cat(
    [(task.test_labels == k).nonzero()[: lab.quick_or_full(20, 50), 0] for k in range(len(WORDS))]
)
others = torch.arange(0, len(task.test_texts), lab.quick_or_full(1, smoke=20))
test_rows = torch.cat(
    [first, others[~torch.isin(others, first)]]
)  # the part for costly methods first
train_texts, test_texts = (
    [task.train_texts[i] for i in pool_rows],
    [task.test_texts[i] for i in test_rows],
)
parts = {
    "validation": task.validation_texts,
    "drawn": train_texts[: len(drawn)],
    "few": test_texts[: len(first)],
}
parts |= {"pool": train_texts[len(drawn) :], "rest": test_texts[len(first) :]}

# %%
read, vectors = {}, {}  # vectors: (part, template's end) -> (texts, d)
for part in lab.progress_bar(["validation", "drawn", "few"], "parts of the texts"):
    read[part] = prompts.encode_texts(tokenizer, model, parts[part], BEFORE, JOINT)
    for end in ENDS:
        vectors[part, end] = prompts.next_token_hidden(tokenizer, model, read[part], end)
del read["drawn"]  # the keys and values of so many texts are hundreds of megabytes

# %% [markdown]
# A calibrated score is the score minus the class's mean over unlabelled texts; you will derive it below.


# %%
def scores(part, end):
    """log P(label word | text, end) for the texts of a part: (texts, classes)."""
    return prompts.next_token_log_probabilities(model, vectors[part, end])[:, label_ids]


labels = {
    "validation": task.validation_labels,
    "drawn": task.train_labels[drawn],
    "few": task.test_labels[first],
}
raw = {key: scores(*key) for key in vectors}
unlabelled = {end: torch.cat([raw["validation", end], raw["drawn", end]]) for end in ENDS}
calibrated = {
    (part, end): prompts.mean_logit_calibration(raw[part, end], unlabelled[end])
    for part, end in raw
}


def hits(found, part):
    """Whether each text of a part is read rightly, from its scores (texts, classes): a list of booleans."""
    return (found.argmax(dim=1) == labels[part]).tolist()


def share(found, part):
    """The share of a part's texts that is read rightly."""
    return sum(hits(found, part)) / len(labels[part])


def accuracy(right):
    """A share with its 95 % interval over texts."""
    return lab.share_interval(sum(right), len(right))


# %%
by_end = {}
for end in ENDS:
    for name, found in (("raw", raw), ("calibrated", calibrated)):
        right = [hit for part in ("validation", "drawn") for hit in hits(found[part, end], part)]
        by_end[f"{end.strip()} ({name})"] = accuracy(right)
END = max(
    ENDS,
    key=lambda end: sum(by_end[f"{end.strip()} ({name})"].mean for name in ("raw", "calibrated")),
)
spread = [by_end[f"{end.strip()} (raw)"].mean for end in ENDS]
lab.figures.bars(
    by_end,
    title=f"Raw accuracy is {min(spread):.2f} to {max(spread):.2f} over templates; chosen: “… "
    f"{END.strip()}”",
    x="accuracy on validation and drawn training texts",
    line=1 / len(WORDS),
    caption="Share and 95 % interval over texts, no test text among them. Dashed: chance. "
    "“calibrated”: minus the mean scores of the same texts, labels unseen.",
    alt="Accuracy: "
    + "; ".join(f"{name} {value.mean:.2f}" for name, value in by_end.items())
    + ".",
)

# %% [markdown]
# Is that choice possible with few labels? For each draw, choose the template by its K texts per class alone (Perez et al. 2021, "true
# few-shot learning"), and test it on a part of the test texts. For comparison, the template that the test labels would choose.


# %%
def template_chosen(seed, shots):
    """Test accuracy of the template that is best on the draw's own texts."""
    rows = torch.isin(drawn, task.rows(shots, seed))
    right = {end: calibrated["drawn", end].argmax(dim=1) == labels["drawn"] for end in ENDS}
    best = max(ENDS, key=lambda end: right[end][rows].sum().item())
    return share(calibrated["few", best], "few")


on_test = [share(calibrated["few", end], "few") for end in ENDS]
CHOOSING = [shots for shots in SHOTS if shots <= K]
honest = [lab.mean_interval([template_chosen(seed, shots) for seed in SEEDS]) for shots in CHOOSING]
lab.figures.curves(
    {"chosen by K labels": (CHOOSING, honest)},
    title=f"Chosen by {CHOOSING[0]} label a class {honest[0].mean:.2f}, by {CHOOSING[-1]} "
    f"{honest[-1].mean:.2f}, by the test set {max(on_test):.2f}",
    x="labels per class that choose",
    y="test accuracy",
    log_x=True,
    ticks=CHOOSING,
    levels={"chosen by the test set": max(on_test), "mean template": sum(on_test) / len(ENDS)},
    caption=f"Calibrated, {len(first)} test texts, mean and 95 % interval over {len(SEEDS)} "
    "draws. The top line has seen the test labels.",
    alt="Test accuracy: "
    + ", ".join(f"{k} labels {e.mean:.2f}" for k, e in zip(CHOOSING, honest))
    + f"; best template {max(on_test):.2f}.",
)

# %% [markdown]
# ## Measure it: zero-shot
#
# Now the whole test set, once, with the template that was chosen; and the rest of the training texts, for later.

# %%
for part in ("rest", "pool"):
    began = time.perf_counter()
    seen = prompts.encode_texts(tokenizer, model, parts[part], BEFORE, JOINT)
    vectors[part, END] = prompts.next_token_hidden(tokenizer, model, seen, END)
    del seen
    per_text = (time.perf_counter() - began) / len(parts[part])
print(f"Scoring 200 texts takes {200 * per_text:.1f} s.")
features = {"test": torch.cat([vectors["few", END], vectors["rest", END]])}
features["pool"] = torch.cat([vectors["drawn", END], vectors["pool", END]])
labels["test"], labels["pool"] = task.test_labels[test_rows], task.train_labels[pool_rows]


def words_said(part):
    """log P(word | text, end) of every word for the test texts or the pool: (texts, V), 100 MB, so it is not kept."""
    return prompts.next_token_log_probabilities(model, features[part])


for part in ("test", "pool"):
    raw[part, END] = words_said(part)[:, label_ids]

# %%
lab.record(zero_shot=accuracy(hits(raw["test", END], "test")), units={"zero_shot": "accuracy"})

# %% [markdown]
# ## Derive: surface forms compete
#
# The label words are only some of the words that would be right. *Bird* takes probability away from *animal* (surface-form
# competition, 表面形式竞争, Holtzman et al. 2021). Which words does the model want to say, class by class? How little is left for all
# label words together?

# %%
mass = raw["test", END].exp().sum(dim=1)
said = words_said("test")
for k, word in enumerate(WORDS):
    mean = said[labels["test"] == k].exp().mean(dim=0)
    top = ", ".join(
        f"{tokenizer.decode([i])!r} {p:.3f}" for p, i in zip(*(t.tolist() for t in mean.topk(6)))
    )
    print(f"{word:>9}: {mean[label_ids[k]]:.4f}   but {top}")
del said
print(f"All {len(WORDS)} label words together: {mass.mean():.4f} of the probability.")

# %% [markdown]
# A remedy that needs knowledge and no labels: give a class several words and add their probabilities.
#
# ## Write it


# %% exercise="class_log_probabilities"
def class_log_probabilities(log_probabilities, words):
    """The log of the summed probability of each class's words.

    log_probabilities: float tensor (n, V). words: for each class a list of token numbers. Returns a
    float tensor (n, classes).
    """
    ### BEGIN SOLUTION
    return torch.stack([log_probabilities[:, list(ids)].logsumexp(dim=1) for ids in words], dim=1)
    ### END SOLUTION


# %% [markdown]
# ## Derive: calibration
#
# Some words are likely whatever the text. Three ways to take that out, each a vector that is subtracted from the scores:
#
# * **contextual** (上下文校准, Zhao et al. 2021): the log of $p_{cf}$, the answer to texts that say nothing, such as “N/A”;
# * **domain** ($\text{PMI}_{DC}$, Holtzman et al. 2021): $\log P(y \mid \text{the template without a text})$;
# * **mean logit** (均值校准): the mean score over unlabelled texts. It needs such texts, and it takes classes to be equally frequent.
#   Taking the mean over the test set itself would use the unlabelled test set; here it is the training pool, its labels unseen.
#
# ## Write it


# %% exercise="contextual_calibration"
def contextual_calibration(scores, content_free):
    """Calibrated log-probabilities: p / p_cf for every class, renormalised over the classes.

    scores: float tensor (n, classes), log-probabilities of the label words. content_free: (m,
    classes), the same for m texts that say nothing; p_cf is the mean over them of the
    probabilities, each renormalised over the classes first. Returns (n, classes).
    """
    ### BEGIN SOLUTION
    p_cf = content_free.softmax(dim=1).mean(dim=0)
    return (scores - p_cf.log()).log_softmax(dim=1)
    ### END SOLUTION


# %% exercise="mean_logit_calibration"
def mean_logit_calibration(scores, unlabelled):
    """Scores minus each class's mean score over unlabelled texts.

    scores: float tensor (n, classes). unlabelled: float tensor (m, classes), the scores of other
    texts. Returns (n, classes).
    """
    ### BEGIN SOLUTION
    return scores - unlabelled.mean(dim=0)
    ### END SOLUTION


# %% [markdown]
# ## Measure it: which calibration

# %%
contextual, mean_logit = (
    lab.yours_or_ours(contextual_calibration),
    lab.yours_or_ours(mean_logit_calibration),
)
of_words = lab.yours_or_ours(class_log_probabilities)
nothing = prompts.label_scores(
    tokenizer, model, prompts.CONTENT_FREE, f"{BEFORE}{JOINT}{{x}}{END}", WORDS
)
domain = prompts.label_scores(tokenizer, model, [BEFORE], f"{{x}}{END}", WORDS)
many = [
    prompts.label_tokens(tokenizer, prompts.SYNONYMS.get(word, (word,))).tolist() for word in WORDS
]
several, pool = (of_words(words_said(part), many) for part in ("test", "pool"))
found = {
    "raw": raw["test", END],
    "contextual": contextual(raw["test", END], nothing),
    "domain": contextual(raw["test", END], domain),
    "mean logit": mean_logit(raw["test", END], raw["pool", END]),
    "several words, raw": several,
    "several words, mean logit": mean_logit(several, pool),
}

# %%
by_calibration = {name: accuracy(hits(values, "test")) for name, values in found.items()}
best = max(by_calibration, key=lambda name: by_calibration[name].mean)
lab.figures.bars(
    by_calibration,
    title=f"Zero-shot {by_calibration['raw'].mean:.2f} raw, "
    f"{by_calibration['mean logit'].mean:.2f} by mean logits; highest: {best}",
    x="test accuracy without any label",
    caption=f"{len(task.test_texts)} test texts, share and 95 % interval. “several words”: five "
    "words a class instead of one.",
    alt="Test accuracy: "
    + ", ".join(f"{name} {value.mean:.2f}" for name, value in by_calibration.items())
    + ".",
)

# %%
lab.record(
    zero_shot_calibrated=by_calibration["mean logit"],
    units={"zero_shot_calibrated": "accuracy"},
    headline="zero_shot_calibrated",
)

# %%
gained = lab.paired_difference(
    hits(found["mean logit"], "test"), hits(found["raw"], "test"), unit="accuracy"
)
lab.verdict(
    "calibration",
    "Calibration by unlabelled texts lifts zero-shot answers.",
    [lab.Evidence("mean logit - raw", gained, ">")],
)

# %% [markdown]
# ## Derive: demonstrations
#
# Labelled texts can stand *in the prompt*: the model reads them as examples and goes on in their manner. No weight changes
# (in-context learning, 上下文学习, Brown et al. 2020). All test texts share the demonstrations, so these are read once.
#
# ## Write it


# %% exercise="demonstration_prompt"
def demonstration_prompt(texts, labels, words, template, order):
    """Demonstrations as one text: each is the filled template, a space, its label's word and a new line ("\\n").

    texts: list of n texts. labels: whole numbers (n,). words: one per class. template: a text that
    holds "{x}". order: whole numbers (n,), which demonstration comes first, second, ... Returns a
    text.
    """
    ### BEGIN SOLUTION
    return "".join(
        f"{template.replace('{x}', texts[i])} {words[labels[i]]}\n" for i in order.tolist()
    )
    ### END SOLUTION


# %% [markdown]
# ## Measure it: the same demonstrations in other orders
#
# One demonstration of each class, the same texts in several orders, then K of each class in several draws. Each prompt is
# calibrated by its own mean scores over unlabelled validation texts.

# %%
show = lab.yours_or_ours(demonstration_prompt)
N_SHOWN = lab.quick_or_full(10, 100)  # test texts per class
shown_rows = torch.cat([(task.test_labels == k).nonzero()[:N_SHOWN, 0] for k in range(len(WORDS))])
shown_texts = [task.test_texts[i] for i in shown_rows]
labels["shown"] = task.test_labels[shown_rows]
unseen = [
    task.validation_texts[i]
    for i in range(0, len(task.validation_texts), lab.quick_or_full(5, 1, smoke=20))
]


def in_context_hits(shots, draw, order):
    """Test hits, raw and calibrated, with the demonstrations of a draw in an order: two lists of booleans."""
    texts, given = task.draw(shots, draw)
    prompt = show(
        texts, given, WORDS, in_context.DEMONSTRATION, in_context.random_order(len(texts), order)
    )
    found = in_context.in_context_scores(tokenizer, model, prompt, shown_texts + unseen, WORDS)
    here, there = found[: len(shown_texts)], found[len(shown_texts) :]
    return hits(here, "shown"), hits(prompts.mean_logit_calibration(here, there), "shown")


# %%
ORDERS = lab.quick_or_full(3, 20)
by_order = [in_context_hits(1, SEED, order) for order in lab.progress_bar(range(ORDERS), "orders")]
by_draw = [in_context_hits(K, seed, seed) for seed in lab.progress_bar(DRAWS, "draws")]
rates = {
    f"{name}, {what}": [sum(right[i]) / len(right[i]) for right in rows]
    for name, rows in (
        (f"{ORDERS} orders of one draw, 1 a class", by_order),
        (f"{len(DRAWS)} draws, {K} a class", by_draw),
    )
    for i, what in enumerate(("raw", "calibrated"))
}
ranges = {name: max(values) - min(values) for name, values in rates.items()}
in_context_k = rates[f"{len(DRAWS)} draws, {K} a class, calibrated"]

# %%
names = list(rates)
lab.figures.bars(
    {name: lab.mean_interval(values) for name, values in rates.items()},
    title=f"Order alone moves raw accuracy by {ranges[names[0]]:.2f}, calibrated by "
    f"{ranges[names[1]]:.2f}",
    x="test accuracy",
    caption=f"{len(shown_texts)} test texts; mean and 95 % interval over orders or draws. "
    f"Calibrated by {len(unseen)} unlabelled validation texts.",
    alt="Test accuracy: "
    + "; ".join(f"{name}: {min(v):.2f} to {max(v):.2f}" for name, v in rates.items())
    + ".",
)

# %%
lab.record(in_context_k4=in_context_k, unit="accuracy")

# %% [markdown]
# ## Derive: a soft prompt
#
# The words of a template are $m$ vectors from the model's table. Why should the best ones be words? Learn them:
#
# $$\max_{P \in \mathbb{R}^{m \times d}} \sum_{(x, y)} \log P(v(y) \mid x, P)$$
#
# with the model frozen (soft prompt, 软提示, Lester et al. 2021). They put $P$ before the text. Here it stands **after** the text,
# where the template's end stood: a causal model computes nothing new for $x$ when $P$ changes, so its keys and values are
# computed once, and a step costs $m$ tokens a text. $P$ starts as the template's own end.
#
# ## Derive: a trigger
#
# An *adaptive trigger* (自适应触发器) is a prompt of real words, found by search (AutoPrompt, Shin et al. 2020). Let $e_{t_j}$ be the
# input vector of its word at place $j$ and $L$ the loss on the labelled texts. To first order, the word $w$ there changes it by
#
# $$L_{t_j \to w} - L \approx (e_w - e_{t_j}) \cdot \frac{\partial L}{\partial e_{t_j}}$$
#
# One backward pass ranks all words; the best few are then tried for real.
#
# ## Write it


# %% exercise="swap_estimates"
def swap_estimates(gradient, current, embeddings):
    """The first-order change of the loss when one word of the trigger becomes another; negative is better.

    gradient: float tensor (m, d), dL/de at each place. current: whole numbers (m,), the words that
    stand there. embeddings: float tensor (V, d), the input vector of every word. Returns a float
    tensor (m, V).
    """
    ### BEGIN SOLUTION
    return gradient @ embeddings.T - (gradient * embeddings[current]).sum(dim=1, keepdim=True)
    ### END SOLUTION


# %% [markdown]
# ## Measure it: soft prompts and triggers
#
# K labels per class, several draws. Both end with as many tokens as the template's end and are tested on a part of the test texts, as
# they are and calibrated by unlabelled validation texts. The search starts from words that say nothing; label words are barred.

# %%
estimate = lab.yours_or_ours(swap_estimates)
SOFT_STEPS, SEARCH_STEPS, CANDIDATES = lab.quick_or_full((5, 3, 4), (30, 24, 16))
ending = kv_cache.token_ids(tokenizer, model, END)
blank = kv_cache.token_ids(tokenizer, model, " the" * len(ending))
texts, given = zip(*(task.draw(K, seed) for seed in DRAWS))
draws = torch.arange(len(DRAWS)).repeat_interleave(torch.tensor([len(t) for t in texts]))
y = torch.cat(given)
seen = prompts.encode_texts(
    tokenizer, model, [text for part in texts for text in part], BEFORE, JOINT
)
common = (model, seen, draws, y, label_ids)
with lab.progress_bar(2, "ways to learn") as bar:
    soft, soft_losses = soft_prompts.tune_prompts(
        *common, kv_cache.token_embeddings(model, ending), steps=SOFT_STEPS
    )
    bar.update()
    allowed = triggers.plain_words(tokenizer)
    found = triggers.search_triggers(
        *common,
        blank,
        steps=SEARCH_STEPS,
        candidates=CANDIDATES,
        allowed=allowed,
        estimates=estimate,
    )
    trigger, trigger_losses = found
    bar.update()
print("Triggers:", ", ".join(repr(tokenizer.decode(words)) for words in trigger))
print(f"Loss on the labelled texts: template {soft_losses[0].mean():.2f}, ", end="")
print(
    f"soft prompt {soft_losses[-1].mean():.2f}, trigger {trigger_losses[0].mean():.2f} before, "
    f"{trigger_losses[-1].mean():.2f} after."
)


# %%
def tested(end):
    """Test accuracy of an end's vectors (m, d), raw and calibrated."""
    here, there = (
        soft_prompts.prompted_logits(model, read[part], end, label_ids)
        for part in ("few", "validation")
    )
    return share(here, "few"), share(prompts.mean_logit_calibration(here, there), "few")


template = tested(kv_cache.token_embeddings(model, ending))
soft = list(
    zip(*(tested(P) for P in lab.progress_bar(soft, "soft prompts")))
)  # raw and calibrated, a number per draw
trigger = list(
    zip(
        *(
            tested(kv_cache.token_embeddings(model, t))
            for t in lab.progress_bar(trigger, "triggers")
        )
    )
)

# %%
by_prompt = {
    "template, raw": lab.mean_interval([template[0]]),
    "template, calibrated": lab.mean_interval([template[1]]),
    "soft prompt, raw": lab.mean_interval(soft[0]),
    "soft prompt, calibrated": lab.mean_interval(soft[1]),
    "trigger, raw": lab.mean_interval(trigger[0]),
    "trigger, calibrated": lab.mean_interval(trigger[1]),
}
lab.figures.bars(
    by_prompt,
    title=f"Calibrated: template {template[1]:.2f}, soft prompt "
    f"{by_prompt['soft prompt, calibrated'].mean:.2f}, trigger {by_prompt['trigger, calibrated'].mean:.2f}",
    x="test accuracy",
    caption=f"{K} labels per class; {len(first)} test texts; mean and 95 % interval over "
    f"{len(DRAWS)} draws. The template used none of these labels.",
    alt="Test accuracy: "
    + "; ".join(f"{name} {value.mean:.2f}" for name, value in by_prompt.items())
    + ".",
)

# %%
lab.record(soft_prompt_k4=soft[1], unit="accuracy")

# %%
lab.record(trigger_k4=trigger[1], unit="accuracy")

# %% [markdown]
# ## Measure it: train instead of asking
#
# The same model's vectors, after the template's end, as features of a linear head; MiniLM's sentence vectors likewise. A head can start
# at zero, or at the label words' own output vectors: then it *is* the prompt until labels pull it away. Fine-tuning (微调)
# starts at the prompt too and changes the model's upper two layers; what the lower ones give is computed once.

# %%
kept = {"SmolLM2": features}
sentences = language.sentence_features(
    [*train_texts, *test_texts], device=DEVICE, progress=lambda b: lab.progress_bar(b, "batches")
)
kept["MiniLM"] = dict(zip(("pool", "test"), sentences.split([len(train_texts), len(test_texts)])))
own = model.get_output_embeddings().weight[label_ids].float().cpu()
HEADS = {
    "head, SmolLM2": ("SmolLM2", None),
    "head from the prompt, SmolLM2": ("SmolLM2", own),
    "head, MiniLM": ("MiniLM", None),
}


def head_accuracy(name, shots, seed):
    """Test accuracy of a linear head on frozen vectors."""
    z, start = kept[HEADS[name][0]], HEADS[name][1]
    rows = torch.isin(pool_rows, task.rows(shots, seed))
    classify = prompts.fit_head(
        z["pool"][rows], labels["pool"][rows], len(WORDS), unlabelled=z["pool"], start=start
    )
    return share(classify(z["test"]), "test")


grid = lab.combinations(name=list(HEADS), shots=SHOTS, seed=SEEDS)
heads = {
    (c["name"], c["shots"], c["seed"]): head_accuracy(**c) for c in lab.progress_bar(grid, "heads")
}
curve = {
    name: torch.tensor([[heads[name, shots, seed] for shots in SHOTS] for seed in SEEDS]).numpy()
    for name in HEADS
}

# %%
LAYERS, (TUNE_STEPS, RATE) = (
    2,
    lab.quick_or_full((4, 4e-4), (20, 2e-4)),
)  # the rate was chosen on validation texts


def lower(texts):
    """What the frozen lower layers give for the filled templates."""
    return fine_tuning.lower_layers(
        tokenizer, model, [f"{BEFORE}{JOINT}{text}{END}" for text in texts], LAYERS
    )


def fine_tuned(texts, y):
    """Test accuracy after fine-tuning the upper layers from the prompt."""
    network = fine_tuning.UpperLayers(
        model, LAYERS, model.get_output_embeddings().weight[label_ids]
    )
    fine_tuning.fine_tune(network, lower(texts), y, steps=TUNE_STEPS, learning_rate=RATE)
    return share(fine_tuning.predict_logits(network, below), "few")


below = lower(parts["few"])
tuned = [fine_tuned(*task.draw(K, seed)) for seed in lab.progress_bar(DRAWS, "fine-tunings")]

# %% [markdown]
# ## Read it
#
# All methods in one picture. Single points were measured at one K only. Which methods start above chance with one label? Where do the
# curves meet?

# %%
series = {name: (SHOTS, [lab.mean_interval(values) for values in curve[name].T]) for name in HEADS}
single = {
    "in context, calibrated": in_context_k,
    "soft prompt, calibrated": soft[1],
    "trigger, calibrated": trigger[1],
    "fine-tuned": tuned,
}
series |= {name: ([K], [lab.mean_interval(values)]) for name, values in single.items()}
at_k = {name: estimates[places.index(K)].mean for name, (places, estimates) in series.items()}
lab.figures.curves(
    series,
    title=f"At {K} labels per class: "
    + f"highest {max(at_k, key=at_k.get)}, {max(at_k.values()):.2f}",
    x="labels per class K",
    y="test accuracy",
    log_x=True,
    ticks=SHOTS,
    levels={
        "zero-shot, calibrated": by_calibration["mean logit"].mean,
        "zero-shot": by_calibration["raw"].mean,
    },
    caption=f"Mean and 95 % interval over draws. Heads: {len(SEEDS)} draws, "
    f"{len(task.test_texts)} test texts; the others {len(DRAWS)} draws; soft prompt, trigger, fine-tuning: {len(first)} texts; in context: {len(shown_texts)}.",
    alt=f"Test accuracy at {K} labels per class: "
    + ", ".join(f"{name} {value:.2f}" for name, value in at_k.items())
    + ".",
)

# %%
at = SHOTS.index(K)
lab.record(linear_probe_k4=curve["head, SmolLM2"][:, at], unit="accuracy")

# %%
lab.record(linear_probe_minilm_k4=curve["head, MiniLM"][:, at], unit="accuracy")

# %%
lab.record(fine_tuned_k4=tuned, unit="accuracy")

# %% [markdown]
# **How many labels is a prompt worth?** (Le Scao & Rush 2021.) Read the curve of the head that starts at zero: how many times the labels
# does it need to reach what the prompt's head reaches? It is the exchange rate of chapter 02.

# %%
worth = lab.exchange_rate(
    SHOTS, curve["head, SmolLM2"], 1, curve["head from the prompt, SmolLM2"][:, 0]
)
lab.record(prompt_worth_k1=worth)

# %%
worth = lab.exchange_rate(
    SHOTS, curve["head, SmolLM2"], K, curve["head from the prompt, SmolLM2"][:, at]
)
lab.record(prompt_worth_k4=worth)

# %%
answer = lab.paired_difference(
    in_context_k, curve["head, SmolLM2"][: len(DRAWS), at], unit="accuracy"
)
lab.recall("worth", f"in context, calibrated - linear head, at {K} labels per class = {answer}")

# %% [markdown]
# ## Verdict
#
# The claim has two halves. *Prompts with little data*: without labels well above chance, and with one label per class above a head
# that was not given the prompt. *Adaptive triggers beat fixed templates*: in pairs, draw by draw, on the same test texts, both raw
# and both calibrated. A search that has not yet reached the template's loss on the labelled texts shows a lower bound of what
# triggers can do, and a lower bound cannot refute.

# %%
first = [
    lab.Evidence("zero-shot, calibrated", by_calibration["mean logit"], ">", 2 / len(WORDS)),
    lab.Evidence(
        "head from the prompt - head, 1 label per class",
        lab.paired_difference(
            curve["head from the prompt, SmolLM2"][:, 0],
            curve["head, SmolLM2"][:, 0],
            unit="accuracy",
        ),
        ">",
    ),
]
reached = (
    trigger_losses[-1].mean() <= soft_losses[0].mean()
)  # else the search is not at its end, and shows a lower bound only
against = [
    lab.paired_difference(values, [template[i]] * len(DRAWS), unit="accuracy")
    for i, values in enumerate(trigger)
]
against = [value if reached else replace(value, bound=">=") for value in against]
second = [
    lab.Evidence(f"trigger - template, {what}", value, ">")
    for what, value in zip(("raw", "calibrated"), against)
]
lab.verdict(
    "prompts-with-little-data", "Prompts let a model do a new task with little data.", first
)

# %%
lab.verdict("triggers-beat-templates", "Adaptive triggers beat fixed templates.", second)

# %%
lab.verdict(
    "C11",
    "Prompts let a model do a new task with little data, and adaptive triggers beat fixed "
    "templates.",
    first + second,
)

# %% [markdown]
# The template had help that the trigger had not: a person wrote it, and a pool of labels chose it among others. The trigger had a few
# steps, more of them in the full profile. Do not quote the second half for as long as its numbers are bounds (>=).
#
# ## Recap
#
# * A prompt classifies by $\log P(v(y) \mid T(x))$; keys and values of whatever is shared are computed once.
# * Label words compete with their synonyms and carry a bias; unlabelled texts take the bias out.
# * A template has to be chosen, and choosing by the test set is cheating.
# * Demonstrations, soft prompts and triggers are three ways to spend the same few labels.
#
# **Questions.** 1. Why may $P$ be cached for the text when it stands after it, but not when it stands before? 2. Half of your unlabelled
# texts are of one class. What does mean-logit calibration do to it? 3. Why does the exact order of the demonstrations matter
# less to calibrated answers?
#
# **Going further.** Brown et al. 2020 (NeurIPS); Schick & Schütze 2021 (EACL); Zhao et al. 2021 (ICML); Holtzman et al. 2021 (EMNLP);
# Lu et al. 2022 (ACL); Lester et al. 2021 (EMNLP); Li & Liang 2021 (ACL); Shin et al. 2020 (EMNLP); Le Scao & Rush 2021
# (NAACL); Perez et al. 2021 (NeurIPS). In production: `transformers` with `peft` (prompt tuning, LoRA), or SetFit for a small encoder.
