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
CLASSES = "animal plant food person artifact"  # supersenses of WordNet, each name one token

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
# is inside a sum over $x$. A form that can be computed needs two things that you choose: a **template** (模板) $T$ with a
# slot for the text, and a **verbaliser** (标签词映射) $v$ that gives every label a word:
#
# $$\text{score}(y) = \log P(v(y) \mid T(x)) = \sum_{t} \log P(v_t \mid T(x), v_{<t}), \qquad \hat y = \arg\max_y \text{score}(y)$$
#
# Nothing is maximised over weights here. What later sections learn is $T$: its words (a trigger) or its vectors (a soft prompt).
#
# ## Write it
#
# A causal model returns one row of logits after each token. Row $t$ predicts token $t+1$.


# %% exercise="sequence_log_probability"
def sequence_log_probability(logits, tokens, prompt_length):
    """The sum of log P(token t | the tokens before it) over t >= prompt_length, the continuation.

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
# All templates begin alike, so the texts are encoded once, and each ending costs only its own few tokens. The template is chosen by
# its mean accuracy, raw and calibrated, on validation texts and on the training texts that are drawn below, **not** on test texts.
# That is still a luxury: few-shot learning has no such heap of labels.
#
# First the training texts. Those of the draws with K labels come first, so that the part that is needed early is encoded alone.


# %%
def rows_of_draws(shots):
    """The training texts of all draws with this many labels per class, without repeats."""
    return torch.cat([task.rows(shots, seed) for seed in SEEDS]).unique()


def first_then(first, others):
    """Row numbers without repeats, those of `first` in front."""
    return torch.cat([first, others[~torch.isin(others, first)]])


drawn = rows_of_draws(K)
pool_rows = first_then(drawn, rows_of_draws(max(SHOTS)))
train_texts = [task.train_texts[i] for i in pool_rows]

# %% [markdown]
# The test texts likewise: a few of each class first, on which the methods that take long are tested.

# %%
N_FEW = lab.quick_or_full(20, 50)
few = torch.cat([(task.test_labels == k).nonzero()[:N_FEW, 0] for k in range(len(WORDS))])
every_test = torch.arange(0, len(task.test_texts), lab.quick_or_full(1, smoke=20))
test_rows = first_then(few, every_test)
test_texts = [task.test_texts[i] for i in test_rows]
parts = {
    "validation": task.validation_texts,
    "drawn": train_texts[: len(drawn)],
    "few": test_texts[: len(few)],
    "pool": train_texts[len(drawn) :],
    "rest": test_texts[len(few) :],
}

# %% [markdown]
# Now the model reads the texts, once, and goes on with each of four endings. What it then knows is one vector per text.

# %%
BEFORE, JOINT, _ = prompts.split_template(TEMPLATE_SHOWN)
ENDS = ["\nType:", "\nThis describes a", "\nCategory:", " is a kind of"]
prefixes, hidden = {}, {}  # hidden: (part, ending) -> (texts, d)
for part in lab.progress_bar(["validation", "drawn", "few"], "parts of the texts"):
    prefixes[part] = prompts.encode_texts(tokenizer, model, parts[part], BEFORE, JOINT)
    for end in ENDS:
        hidden[part, end] = prompts.next_token_hidden(tokenizer, model, prefixes[part], end)
del prefixes["drawn"]  # the keys and values of these texts are hundreds of megabytes

# %% [markdown]
# A calibrated score is the score minus the class's mean over unlabelled texts; you will derive it below.


# %%
def scores_of(part, end):
    """log P(label word | text, ending) for the texts of a part: (texts, classes)."""
    return prompts.next_token_log_probabilities(model, hidden[part, end])[:, label_ids]


raw = {(part, end): scores_of(part, end) for part, end in hidden}
calibrated = {}
for part, end in raw:
    unlabelled = torch.cat([raw["validation", end], raw["drawn", end]])
    calibrated[part, end] = prompts.mean_logit_calibration(raw[part, end], unlabelled)
labels = {
    "validation": task.validation_labels,
    "drawn": task.train_labels[drawn],
    "few": task.test_labels[few],
}

# %% [markdown]
# Three short functions for the whole chapter: which texts are classified correctly, their share, and the share's interval.


# %%
def hits(scores, part):
    """Whether each text of a part is classified correctly, from scores (texts, classes)."""
    return (scores.argmax(dim=1) == labels[part]).tolist()


def share(scores, part):
    """The share of a part's texts that is classified correctly."""
    return sum(hits(scores, part)) / len(labels[part])


def interval(correct):
    """A share with its 95 % interval over texts."""
    return lab.share_interval(sum(correct), len(correct), unit="accuracy")


# %% [markdown]
# Each template, raw and calibrated, on the texts whose labels may choose.

# %%
by_end = {}
for end in ENDS:
    for kind, scores in (("raw", raw), ("calibrated", calibrated)):
        correct = [hit for part in ("validation", "drawn") for hit in hits(scores[part, end], part)]
        by_end[end, kind] = interval(correct)
END = max(ENDS, key=lambda end: by_end[end, "raw"].mean + by_end[end, "calibrated"].mean)

# %% [markdown]
# How far apart are the templates, raw and calibrated? All of them ask the same thing.

# %% folded=true
spread = [by_end[end, "raw"].mean for end in ENDS]
lab.figures.bars(
    {f"{end.strip()} ({kind})": value for (end, kind), value in by_end.items()},
    title=f"Raw accuracy is {min(spread):.2f} to {max(spread):.2f} over templates; chosen: “… "
    f"{END.strip()}”",
    x="accuracy on validation and drawn training texts",
    line=1 / len(WORDS),
    caption="Share and 95 % interval over texts, no test text among them. Dashed: chance. "
    "“calibrated”: minus the mean scores of the same texts, labels unseen.",
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

# %% [markdown]
# The distance from the curve to the upper line is what choosing by the test set would have added: it is not real.

# %% folded=true
lab.figures.curves(
    {"chosen by K labels": (CHOOSING, honest)},
    title=f"Chosen by {CHOOSING[0]} label a class {honest[0].mean:.2f}, by {CHOOSING[-1]} "
    f"{honest[-1].mean:.2f}, by the test set {max(on_test):.2f}",
    x="labels per class that choose",
    y="test accuracy",
    log_x=True,
    ticks=CHOOSING,
    levels={"chosen by the test set": max(on_test), "mean template": sum(on_test) / len(ENDS)},
    caption=f"Calibrated, {len(few)} test texts, mean and 95 % interval over {len(SEEDS)} "
    "draws. The top line has seen the test labels.",
)

# %% [markdown]
# ## Measure it: zero-shot
#
# Now the whole test set, once, with the template that was chosen; and the rest of the training texts, for later.

# %%
for part in ("rest", "pool"):
    began = time.perf_counter()
    prefix = prompts.encode_texts(tokenizer, model, parts[part], BEFORE, JOINT)
    hidden[part, END] = prompts.next_token_hidden(tokenizer, model, prefix, END)
    del prefix
    per_text = (time.perf_counter() - began) / len(parts[part])
print(f"Scoring 200 texts takes {200 * per_text:.1f} s.")
features = {
    "test": torch.cat([hidden["few", END], hidden["rest", END]]),
    "pool": torch.cat([hidden["drawn", END], hidden["pool", END]]),
}
labels |= {"test": task.test_labels[test_rows], "pool": task.train_labels[pool_rows]}

# %% [markdown]
# The scores of the label words are five columns of what the model says about all words.


# %%
def words_said(part):
    """log P(word | text, ending) of every word: (texts, V), 100 MB, so it is not kept."""
    return prompts.next_token_log_probabilities(model, features[part])


for part in ("test", "pool"):
    raw[part, END] = words_said(part)[:, label_ids]

# %%
lab.record(zero_shot=interval(hits(raw["test", END], "test")))

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
    values, tokens = (column.tolist() for column in mean.topk(6))
    top = ", ".join(f"{tokenizer.decode([i])!r} {p:.3f}" for p, i in zip(values, tokens))
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
# Some words are likely whatever the text. Three ways to remove that bias, each a vector that is subtracted from the scores:
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


# %% [markdown]
# The mean logit is even shorter.


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
#
# The biases come from texts that say nothing, from the template without a text, and from the training pool.

# %%
contextual = lab.yours_or_ours(contextual_calibration)
mean_logit = lab.yours_or_ours(mean_logit_calibration)
answers, bias = raw["test", END], raw["pool", END]
nothing = prompts.label_scores(
    tokenizer, model, prompts.CONTENT_FREE, f"{BEFORE}{JOINT}{{x}}{END}", WORDS
)
domain = prompts.label_scores(tokenizer, model, [BEFORE], f"{{x}}{END}", WORDS)
scored = {
    "raw": answers,
    "contextual": contextual(answers, nothing),
    "domain": contextual(answers, domain),
    "mean logit": mean_logit(answers, bias),
}

# %% [markdown]
# And several words for each class, raw and calibrated.

# %%
of_words = lab.yours_or_ours(class_log_probabilities)
synonyms = [prompts.SYNONYMS.get(word, (word,)) for word in WORDS]
many = [prompts.label_tokens(tokenizer, words).tolist() for words in synonyms]
several, pool = (of_words(words_said(part), many) for part in ("test", "pool"))
scored |= {"several words, raw": several, "several words, mean logit": mean_logit(several, pool)}
by_calibration = {name: interval(hits(scores, "test")) for name, scores in scored.items()}

# %% [markdown]
# Compare each way with *raw*. Do several words help before the bias is removed, or after?

# %% folded=true
best = max(by_calibration, key=lambda name: by_calibration[name].mean)
lab.figures.bars(
    by_calibration,
    title=f"Zero-shot {by_calibration['raw'].mean:.2f} raw, "
    f"{by_calibration['mean logit'].mean:.2f} by mean logits; highest: {best}",
    x="test accuracy without any label",
    caption=f"{len(task.test_texts)} test texts, share and 95 % interval. “several words”: five "
    "words a class instead of one.",
)

# %%
lab.record(
    zero_shot_calibrated=by_calibration["mean logit"],
    headline="zero_shot_calibrated",
)

# %% [markdown]
# The gain in pairs, text by text.

# %%
gained = lab.paired_difference(
    hits(scored["mean logit"], "test"), hits(scored["raw"], "test"), unit="accuracy"
)
lab.verdict(
    "calibration",
    "Calibration by unlabelled texts lifts zero-shot answers.",
    [lab.Evidence("mean logit - raw", gained, ">")],
)

# %% [markdown]
# ## Derive: demonstrations
#
# Labelled texts can be put *into the prompt*: the model takes them as examples and continues the pattern. No weight changes
# (in-context learning, 上下文学习, Brown et al. 2020). All test texts share the demonstrations, so these are read once.
#
# ## Write it


# %% exercise="demonstration_prompt"
def demonstration_prompt(texts, labels, words, template, order):
    """Demonstrations as one text: each is the filled template, a space, its label's word and "\\n".

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
shown = torch.cat([(task.test_labels == k).nonzero()[:N_SHOWN, 0] for k in range(len(WORDS))])
shown_texts, labels["shown"] = [task.test_texts[i] for i in shown], task.test_labels[shown]
unseen = list(task.validation_texts[:: lab.quick_or_full(5, 1, smoke=20)])


def in_context_accuracy(shots, draw, order):
    """Test accuracy, raw and calibrated, with the demonstrations of a draw in an order."""
    texts, given = task.draw(shots, draw)
    order = in_context.random_order(len(texts), order)
    prompt = show(texts, given, WORDS, in_context.DEMONSTRATION, order)
    scores = in_context.in_context_scores(tokenizer, model, prompt, shown_texts + unseen, WORDS)
    here, there = scores[: len(shown_texts)], scores[len(shown_texts) :]
    better = prompts.mean_logit_calibration(here, there)
    return {"raw": share(here, "shown"), "calibrated": share(better, "shown")}


# %% [markdown]
# Two experiments: only the order changes, and the demonstrations change too.

# %%
ORDERS = lab.quick_or_full(3, 20)
by_order = [
    in_context_accuracy(1, SEED, order) for order in lab.progress_bar(range(ORDERS), "orders")
]
by_draw = [in_context_accuracy(K, seed, seed) for seed in lab.progress_bar(DRAWS, "draws")]
in_context_k = [row["calibrated"] for row in by_draw]

# %% [markdown]
# Compare the width of the interval over orders before and after calibration.

# %% folded=true
moved = {
    kind: max(row[kind] for row in by_order) - min(row[kind] for row in by_order)
    for kind in ("raw", "calibrated")
}
experiments = {
    f"{ORDERS} orders of one draw, 1 a class": by_order,
    f"{len(DRAWS)} draws, {K} a class": by_draw,
}
lab.figures.bars(
    {
        f"{name}, {kind}": lab.mean_interval([row[kind] for row in rows])
        for name, rows in experiments.items()
        for kind in ("raw", "calibrated")
    },
    title=f"Order alone moves raw accuracy by {moved['raw']:.2f}, calibrated by "
    f"{moved['calibrated']:.2f}",
    x="test accuracy",
    caption=f"{len(shown_texts)} test texts; mean and 95 % interval over orders or draws. "
    f"Calibrated by {len(unseen)} unlabelled validation texts.",
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
# with the model frozen (soft prompt, 软提示, Lester et al. 2021). They put $P$ before the text. Here it comes **after** the text,
# in place of the template's ending: a causal model computes nothing new for $x$ when $P$ changes, so its keys and values are
# computed once, and a step costs $m$ tokens a text. $P$ starts as the template's own ending. Gradient, step, loss, as in the loop of
# chapter 02; but the only weights that learn are $P$ (`soft_prompts.tune_prompts`).
#
# ## Derive: a trigger
#
# An *adaptive trigger* (自适应触发器) is a prompt of real words, found by search (AutoPrompt, Shin et al. 2020). Let $e_{t_j}$ be the
# input vector of its word at position $j$ and $L$ the loss on the labelled texts. To first order, the word $w$ there changes it by
#
# $$L_{t_j \to w} - L \approx (e_w - e_{t_j}) \cdot \frac{\partial L}{\partial e_{t_j}}$$
#
# One backward pass ranks all words; the best few are then tried for real.
#
# ## Write it


# %% exercise="swap_estimates"
def swap_estimates(gradient, current, embeddings):
    """The first-order change of the loss when one word of the trigger becomes another.

    gradient: float tensor (m, d), dL/de at each position. current: whole numbers (m,), the words at
    these positions. embeddings: float tensor (V, d), the input vector of every word. Returns a
    float tensor (m, V); negative is better.
    """
    ### BEGIN SOLUTION
    return gradient @ embeddings.T - (gradient * embeddings[current]).sum(dim=1, keepdim=True)
    ### END SOLUTION


# %% [markdown]
# ## Measure it: soft prompts and triggers
#
# K labels per class, several draws. Both have as many tokens as the template's ending and are tested on a part of the test texts, as
# they are and calibrated by unlabelled validation texts. The search starts from words that say nothing; label words are not allowed.

# %%
ending = kv_cache.token_ids(tokenizer, model, END)
blank = kv_cache.token_ids(tokenizer, model, " the" * len(ending))
labelled = [task.draw(K, seed) for seed in DRAWS]
y = torch.cat([given for _, given in labelled])
draws = torch.arange(len(DRAWS)).repeat_interleave(torch.tensor([len(t) for t, _ in labelled]))
prefix = prompts.encode_texts(
    tokenizer, model, [text for texts, _ in labelled for text in texts], BEFORE, JOINT
)
examples = (model, prefix, draws, y, label_ids)

# %% [markdown]
# Now both learn, all draws at once. The soft prompt follows the gradient; the trigger uses it, through your estimates, to choose words
# worth trying (`triggers.search_triggers`).

# %%
SOFT_STEPS, SEARCH_STEPS, CANDIDATES = lab.quick_or_full((5, 3, 4), (30, 24, 16))
SEARCH = {"steps": SEARCH_STEPS, "candidates": CANDIDATES}
estimate = lab.yours_or_ours(swap_estimates)
embedded = kv_cache.token_embeddings(model, ending)
with lab.progress_bar(2, "ways to learn") as bar:
    soft, soft_losses = soft_prompts.tune_prompts(*examples, embedded, steps=SOFT_STEPS)
    bar.update()
    allowed = triggers.plain_words(tokenizer)
    words, trigger_losses = triggers.search_triggers(
        *examples, blank, **SEARCH, allowed=allowed, estimates=estimate
    )
    bar.update()
print("Triggers:", ", ".join(repr(tokenizer.decode(trigger)) for trigger in words))
print(
    f"Loss on the labelled texts: template {soft_losses[0].mean():.2f}, soft prompt "
    f"{soft_losses[-1].mean():.2f}, trigger {trigger_losses[0].mean():.2f} before, "
    f"{trigger_losses[-1].mean():.2f} after."
)

# %% [markdown]
# All three on the same test texts. The template is the same for every draw, so its row is repeated.


# %%
def tested(end):
    """Test accuracy of an ending's vectors (m, d), raw and calibrated."""
    here, there = (
        soft_prompts.prompted_logits(model, prefixes[part], end, label_ids)
        for part in ("few", "validation")
    )
    better = prompts.mean_logit_calibration(here, there)
    return {"raw": share(here, "few"), "calibrated": share(better, "few")}


template = tested(embedded)
vectors = [kv_cache.token_embeddings(model, trigger) for trigger in words]
tests = {
    "template": [template] * len(DRAWS),
    "soft prompt": [tested(P) for P in lab.progress_bar(soft, "soft prompts")],
    "trigger": [tested(trigger) for trigger in lab.progress_bar(vectors, "triggers")],
}
endings = lab.training.Arms(
    {name: [{"seed": s, **row} for s, row in zip(DRAWS, rows)] for name, rows in tests.items()}
)

# %% [markdown]
# The losses above are those of the labelled texts. What is left of the order on the test texts?

# %% folded=true
by_prompt = {}
for name in tests:
    for kind in ("raw", "calibrated"):
        once = lab.mean_interval([template[kind]])  # one template, so without an interval
        measured = once if name == "template" else endings.interval(name, of=kind)
        by_prompt[f"{name}, {kind}"] = measured
title = ", ".join(f"{name} {endings.mean(name, of='calibrated'):.2f}" for name in tests)
lab.figures.bars(
    by_prompt,
    title=f"Calibrated: {title}",
    x="test accuracy",
    caption=f"{K} labels per class; {len(few)} test texts; mean and 95 % interval over "
    f"{len(DRAWS)} draws. The template used none of these labels.",
)

# %%
lab.record(
    soft_prompt_k4=endings.interval("soft prompt", of="calibrated"),
    trigger_k4=endings.interval("trigger", of="calibrated"),
    unit="accuracy",
)

# %% [markdown]
# ## Measure it: train instead of asking
#
# The same model's vectors, after the template's ending, as features of a linear head; MiniLM's sentence vectors likewise. A head can
# start at zero, or at the label words' own output vectors: then it *is* the prompt until labels pull it away.

# %%
sentences = language.sentence_features(
    [*train_texts, *test_texts], device=DEVICE, progress=lambda b: lab.progress_bar(b, "batches")
)
pool, test = sentences.split([len(train_texts), len(test_texts)])
backbones = {"SmolLM2": features, "MiniLM": {"pool": pool, "test": test}}
own = model.get_output_embeddings().weight[label_ids].float().cpu()
HEADS = {
    "head, SmolLM2": ("SmolLM2", None),
    "head from the prompt, SmolLM2": ("SmolLM2", own),
    "head, MiniLM": ("MiniLM", None),
}

# %% [markdown]
# Every head with every number of labels and every draw. The features do not change, so this takes seconds.


# %%
def head_accuracy(name, shots, seed):
    """Test accuracy of a linear head on frozen vectors."""
    backbone, start = HEADS[name]
    z = backbones[backbone]
    rows = torch.isin(pool_rows, task.rows(shots, seed))
    options = {"unlabelled": z["pool"], "start": start}
    classify = prompts.fit_head(z["pool"][rows], labels["pool"][rows], len(WORDS), **options)
    return share(classify(z["test"]), "test")


rows = {name: [] for name in HEADS}
grid = lab.combinations(name=list(HEADS), shots=SHOTS, seed=SEEDS)
for one in lab.progress_bar(grid, "heads"):
    rows[one["name"]].append({**one, "test_accuracy": head_accuracy(**one)})
heads = lab.training.Arms(rows, axis="shots", unit="accuracy")

# %% [markdown]
# Fine-tuning (微调) starts at the prompt too and changes the model's upper two layers; what the lower ones give is computed once. The
# loop is the usual one, on all labelled texts at every step (`fine_tuning.fine_tune`). Its learning rate was chosen on validation texts.

# %%
LAYERS = 2
TUNE_STEPS, RATE = lab.quick_or_full((4, 4e-4), (20, 2e-4))


def lower(texts):
    """What the frozen lower layers give for the filled templates."""
    filled = [f"{BEFORE}{JOINT}{text}{END}" for text in texts]
    return fine_tuning.lower_layers(tokenizer, model, filled, LAYERS)


def fine_tuned(texts, y):
    """Test accuracy after fine-tuning the upper layers from the prompt."""
    head = model.get_output_embeddings().weight[label_ids]
    network = fine_tuning.UpperLayers(model, LAYERS, head)
    fine_tuning.fine_tune(network, lower(texts), y, steps=TUNE_STEPS, learning_rate=RATE)
    return share(fine_tuning.predict_logits(network, below), "few")


below = lower(parts["few"])
tuned = [fine_tuned(*task.draw(K, seed)) for seed in lab.progress_bar(DRAWS, "fine-tunings")]

# %% [markdown]
# ## Read it
#
# All methods in one picture. Single points were measured at one K only. Which methods start above chance with one label? Where do the
# curves meet?

# %% folded=true
at_k = {
    "in context, calibrated": lab.mean_interval(in_context_k),
    "soft prompt, calibrated": endings.interval("soft prompt", of="calibrated"),
    "trigger, calibrated": endings.interval("trigger", of="calibrated"),
    "fine-tuned": lab.mean_interval(tuned),
}
series = {name: heads.curve(name) for name in HEADS}
series |= {name: ([K], [estimate]) for name, estimate in at_k.items()}
means = {name: heads.mean(name, K) for name in HEADS}
means |= {name: estimate.mean for name, estimate in at_k.items()}
highest = max(means, key=means.get)
lab.figures.curves(
    series,
    title=f"At {K} labels per class: highest {highest}, {means[highest]:.2f}",
    x="labels per class K",
    y="test accuracy",
    log_x=True,
    ticks=SHOTS,
    levels={
        "zero-shot, calibrated": by_calibration["mean logit"].mean,
        "zero-shot": by_calibration["raw"].mean,
    },
    caption=f"Mean and 95 % interval over draws. Heads: {len(SEEDS)} draws, "
    f"{len(task.test_texts)} test texts; the others {len(DRAWS)} draws; soft prompt, trigger, "
    f"fine-tuning: {len(few)} texts; in context: {len(shown_texts)}.",
)

# %%
lab.record(
    linear_probe_k4=heads.interval("head, SmolLM2", K),
    linear_probe_minilm_k4=heads.interval("head, MiniLM", K),
    fine_tuned_k4=tuned,
    unit="accuracy",
)

# %% [markdown]
# **How many labels is a prompt worth?** (Le Scao & Rush 2021.) On the curve of the head that starts at zero: how many times the labels
# does it need to reach what the prompt's head reaches? It is the exchange rate of chapter 02.

# %%
FROM_PROMPT, FROM_ZERO = "head from the prompt, SmolLM2", "head, SmolLM2"
worth = {
    k: lab.exchange_rate(SHOTS, heads.table(FROM_ZERO), k, heads.values(FROM_PROMPT, k))
    for k in (1, K)
}
lab.record(prompt_worth_k1=worth[1], prompt_worth_k4=worth[K])

# %% [markdown]
# Back to your prediction: in pairs, on the draws that both have.

# %%
without = heads.values(FROM_ZERO, K)[: len(DRAWS)]
answer = lab.paired_difference(in_context_k, without, unit="accuracy")
lab.recall("worth", f"in context, calibrated - linear head, at {K} labels per class = {answer}")

# %% [markdown]
# ## Verdict
#
# The claim has two halves. *Prompts with little data*: without labels well above chance, and with one label per class above a head
# that was not given the prompt. *Adaptive triggers beat fixed templates*: in pairs, draw by draw, on the same test texts, both raw
# and both calibrated. A search that has not yet reached the template's loss on the labelled texts shows a lower bound of what
# triggers can do, and a lower bound cannot refute.

# %%
little_data = [
    lab.Evidence("zero-shot, calibrated", by_calibration["mean logit"], ">", 2 / len(WORDS)),
    lab.Evidence(
        "head from the prompt - head, 1 label per class",
        heads.gain(FROM_PROMPT, 1, over=FROM_ZERO),
        ">",
    ),
]
lab.verdict(
    "prompts-with-little-data", "Prompts let a model do a new task with little data.", little_data
)

# %% [markdown]
# The second half. A bound (`>=`) says that the search was not at its end.

# %%
reached = trigger_losses[-1].mean() <= soft_losses[0].mean()
searched = []
for kind in ("raw", "calibrated"):
    ahead = endings.gain("trigger", over="template", of=kind, unit="accuracy")
    ahead = ahead if reached else replace(ahead, bound=">=")
    searched.append(lab.Evidence(f"trigger - template, {kind}", ahead, ">"))
lab.verdict("triggers-beat-templates", "Adaptive triggers beat fixed templates.", searched)

# %%
lab.verdict(
    "C11",
    "Prompts let a model do a new task with little data, and adaptive triggers beat fixed "
    "templates.",
    little_data + searched,
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
# **Questions.** 1. Why can the text's keys and values be cached when $P$ comes after it, but not when $P$ comes before it? 2. Half of your unlabelled
# texts are of one class. What does mean-logit calibration do to it? 3. Why does the exact order of the demonstrations matter
# less to calibrated answers?
#
# **Going further.** Brown et al. 2020 (NeurIPS); Schick & Schütze 2021 (EACL); Zhao et al. 2021 (ICML); Holtzman et al. 2021 (EMNLP);
# Lu et al. 2022 (ACL); Lester et al. 2021 (EMNLP); Li & Liang 2021 (ACL); Shin et al. 2020 (EMNLP); Le Scao & Rush 2021
# (NAACL); Perez et al. 2021 (NeurIPS). In production: `transformers` with `peft` (prompt tuning, LoRA), or SetFit for a small encoder.
